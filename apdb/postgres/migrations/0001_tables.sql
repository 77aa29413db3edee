-- The APDB of one instrument. Tables and columns carry Rubin's names (sdm_schemas, apdb.yaml 10.0.0).
--
-- commitFrom, commitTo: positions of the commits between which a row holds (from inclusive, to exclusive; null: holds
-- still). pixelId: HEALPix, nested, order 13 (apdb/pixelization.ts). payload: the row as Avro of alert schema 11.0.
-- Times are MJD TAI, positions ICRS degrees, fluxes nJy.

CREATE TABLE metadata (
  name text PRIMARY KEY,
  value text NOT NULL
);

-- One row: the last commit that these tables hold. Writers lock it, so that only one at a time projects.
CREATE TABLE projection (
  "isOnly" boolean PRIMARY KEY DEFAULT true CHECK ("isOnly"),
  position bigint NOT NULL
);
INSERT INTO projection (position) VALUES (0);

-- The version of each object that holds now. Preloads read only this table, and only this one is ever changed.
-- Half of each page is free, so that all rows of one commit, which lie together, can be replaced within their pages.
CREATE TABLE "DiaObjectLast" (
  "diaObjectId" bigint PRIMARY KEY,
  "commitFrom" bigint NOT NULL,
  "validityStartMjdTai" double precision NOT NULL,
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

-- The versions that have ended: copied here from DiaObjectLast when the next one begins, and never touched again.
-- (Ending them in place would rewrite a row somewhere in the largest table for every source.)
CREATE TABLE "DiaObjectHistory" (
  "diaObjectId" bigint NOT NULL,
  "commitFrom" bigint NOT NULL,
  "commitTo" bigint NOT NULL,
  "validityStartMjdTai" double precision NOT NULL,
  "validityEndMjdTai" double precision NOT NULL,
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

-- Every version of every object, as Rubin's table of this name.
CREATE VIEW "DiaObject" AS
  SELECT "diaObjectId", "commitFrom", "commitTo", "validityStartMjdTai", "validityEndMjdTai", "pixelId", ra, "raErr",
    dec, "decErr", "ra_dec_Cov", "firstDiaSourceMjdTai", "lastDiaSourceMjdTai", "nDiaSources", payload
  FROM "DiaObjectHistory"
  UNION ALL
  SELECT "diaObjectId", "commitFrom", NULL, "validityStartMjdTai", NULL, "pixelId", ra, "raErr",
    dec, "decErr", "ra_dec_Cov", "firstDiaSourceMjdTai", "lastDiaSourceMjdTai", "nDiaSources", payload
  FROM "DiaObjectLast";

-- flags: bit i is field i of DIA_SOURCE_FLAGS (apdb/flags.ts). Partitions of 30 days are made as rows come.
CREATE TABLE "DiaSource" (
  "diaSourceId" bigint NOT NULL,
  visit bigint NOT NULL,
  detector smallint NOT NULL,
  "diaObjectId" bigint,
  "ssObjectId" bigint,
  "parentDiaSourceId" bigint,
  "midpointMjdTai" double precision NOT NULL,
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
  PRIMARY KEY ("diaSourceId", "midpointMjdTai")
) PARTITION BY RANGE ("midpointMjdTai");
CREATE INDEX "DiaSource_diaObjectId" ON "DiaSource" ("diaObjectId", "midpointMjdTai");
CREATE INDEX "DiaSource_pixelId" ON "DiaSource" ("pixelId");
CREATE INDEX "DiaSource_commitFrom" ON "DiaSource" USING brin ("commitFrom");

-- The key begins with the object and the time, and so is also the index that histories are read by.
CREATE TABLE "DiaForcedSource" (
  "diaForcedSourceId" bigint NOT NULL,
  "diaObjectId" bigint NOT NULL,
  visit bigint NOT NULL,
  detector smallint NOT NULL,
  "midpointMjdTai" double precision NOT NULL,
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
  PRIMARY KEY ("diaObjectId", "midpointMjdTai", visit, detector)
) PARTITION BY RANGE ("midpointMjdTai");
CREATE INDEX "DiaForcedSource_commitFrom" ON "DiaForcedSource" USING brin ("commitFrom");

-- summary: JSON of named figures, names sorted.
CREATE TABLE "DetectorVisitProcessingSummary" (
  visit bigint NOT NULL,
  detector smallint NOT NULL,
  "midpointMjdTai" double precision NOT NULL,
  "commitFrom" bigint NOT NULL,
  summary json NOT NULL,
  PRIMARY KEY (visit, detector)
);
CREATE INDEX "DetectorVisitProcessingSummary_commitFrom" ON "DetectorVisitProcessingSummary" USING brin ("commitFrom");
