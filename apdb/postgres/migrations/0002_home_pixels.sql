-- Histories by place: every source carries the home pixel of its diaObject, so that those of a field lie together and
-- are read in a few ranges. Rows are projected anew, because older ones have no home.

DROP VIEW "DiaObject";
DROP TABLE "DiaObjectLast", "DiaObjectHistory", "DiaSource", "DiaForcedSource";
TRUNCATE "DetectorVisitProcessingSummary";
UPDATE projection SET position = 0;

-- homePixel: pixel of the object's first version, HEALPix nested of order 13. It never changes; pixelId is where the
-- version is. Preloads find objects by pixelId, and their sources by homePixel.
CREATE TABLE "DiaObjectLast" (
  "diaObjectId" bigint PRIMARY KEY,
  "commitFrom" bigint NOT NULL,
  "validityStartMjdTai" double precision NOT NULL,
  "homePixel" integer NOT NULL,
  "pixelId" integer NOT NULL,
  ra double precision NOT NULL,
  "raErr" real,
  dec double precision NOT NULL,
  "decErr" real,
  "ra_dec_Cov" real,
  "firstDiaSourceMjdTai" double precision,
  "lastDiaSourceMjdTai" double precision,
  "nDiaSources" integer NOT NULL,
  payload bytea NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX "DiaObjectLast_pixelId" ON "DiaObjectLast" ("pixelId");

CREATE TABLE "DiaObjectHistory" (
  "diaObjectId" bigint NOT NULL,
  "commitFrom" bigint NOT NULL,
  "commitTo" bigint NOT NULL,
  "validityStartMjdTai" double precision NOT NULL,
  "validityEndMjdTai" double precision NOT NULL,
  "homePixel" integer NOT NULL,
  "pixelId" integer NOT NULL,
  ra double precision NOT NULL,
  "raErr" real,
  dec double precision NOT NULL,
  "decErr" real,
  "ra_dec_Cov" real,
  "firstDiaSourceMjdTai" double precision,
  "lastDiaSourceMjdTai" double precision,
  "nDiaSources" integer NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY ("diaObjectId", "commitFrom")
);
CREATE INDEX "DiaObjectHistory_pixelId" ON "DiaObjectHistory" ("pixelId", "commitFrom");
CREATE INDEX "DiaObjectHistory_commitFrom" ON "DiaObjectHistory" USING brin ("commitFrom");

CREATE VIEW "DiaObject" AS
  SELECT "diaObjectId", "commitFrom", "commitTo", "validityStartMjdTai", "validityEndMjdTai", "homePixel", "pixelId",
    ra, "raErr", dec, "decErr", "ra_dec_Cov", "firstDiaSourceMjdTai", "lastDiaSourceMjdTai", "nDiaSources", payload
  FROM "DiaObjectHistory"
  UNION ALL
  SELECT "diaObjectId", "commitFrom", NULL, "validityStartMjdTai", NULL, "homePixel", "pixelId",
    ra, "raErr", dec, "decErr", "ra_dec_Cov", "firstDiaSourceMjdTai", "lastDiaSourceMjdTai", "nDiaSources", payload
  FROM "DiaObjectLast";

-- Partitions of 30 days, and in each by the twelve base pixels; made as rows come. homePixel of a row without a
-- diaObject is its own pixel. Repeated values make the index on it small: one entry an object and partition.
CREATE TABLE "DiaSource" (
  "diaSourceId" bigint NOT NULL,
  visit bigint NOT NULL,
  detector smallint NOT NULL,
  "diaObjectId" bigint,
  "ssObjectId" bigint,
  "parentDiaSourceId" bigint,
  "midpointMjdTai" double precision NOT NULL,
  "homePixel" integer NOT NULL,
  "pixelId" integer NOT NULL,
  ra double precision NOT NULL,
  "raErr" real,
  dec double precision NOT NULL,
  "decErr" real,
  x real NOT NULL,
  y real NOT NULL,
  band text,
  "psfFlux" real,
  "psfFluxErr" real,
  snr real,
  reliability real,
  flags bigint NOT NULL,
  "commitFrom" bigint NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY ("diaSourceId", "midpointMjdTai", "homePixel")
) PARTITION BY RANGE ("midpointMjdTai");
CREATE INDEX "DiaSource_homePixel" ON "DiaSource" ("homePixel");
CREATE INDEX "DiaSource_commitFrom" ON "DiaSource" USING brin ("commitFrom");

-- The key begins with the pixel, and so is also the index that histories are read by.
CREATE TABLE "DiaForcedSource" (
  "diaForcedSourceId" bigint NOT NULL,
  "diaObjectId" bigint NOT NULL,
  visit bigint NOT NULL,
  detector smallint NOT NULL,
  "midpointMjdTai" double precision NOT NULL,
  "homePixel" integer NOT NULL,
  "pixelId" integer NOT NULL,
  ra double precision NOT NULL,
  dec double precision NOT NULL,
  band text,
  "psfFlux" real,
  "psfFluxErr" real,
  "scienceFlux" real,
  "scienceFluxErr" real,
  "commitFrom" bigint NOT NULL,
  payload bytea NOT NULL,
  PRIMARY KEY ("homePixel", "diaObjectId", "midpointMjdTai", visit, detector)
) PARTITION BY RANGE ("midpointMjdTai");
CREATE INDEX "DiaForcedSource_commitFrom" ON "DiaForcedSource" USING brin ("commitFrom");
