-- Solar-system objects: which diaSources are known bodies, the orbits that said so, and what all that sums up to.
-- payload: the row as Avro of alert schema 11.0. Times are MJD TAI (of elements: TT), au, degrees, nJy.

-- One row a diaSource of a known body; what later sums need of the diaSource stands here too.
CREATE TABLE "SSSource" (
  "diaSourceId" bigint PRIMARY KEY,
  "ssObjectId" bigint NOT NULL,
  designation text,
  "midpointMjdTai" double precision NOT NULL,
  band text,
  "psfFlux" real,
  "psfFluxErr" real,
  extendedness real,
  "phaseAngle" real,
  "helioRange" real,
  "topoRange" real,
  "ephOffset" real,
  "commitFrom" bigint NOT NULL,
  payload bytea NOT NULL
);
CREATE INDEX "SSSource_ssObjectId" ON "SSSource" ("ssObjectId", "midpointMjdTai");

-- Orbits of the bodies that were seen, each from the commit on that first used it.
CREATE TABLE mpc_orbits (
  "ssObjectId" bigint NOT NULL,
  "commitFrom" bigint NOT NULL,
  designation text NOT NULL,
  epoch_mjd double precision,
  q double precision,
  e double precision,
  i double precision,
  h double precision,
  payload bytea NOT NULL,
  PRIMARY KEY ("ssObjectId", "commitFrom")
);

-- Sums over SSSource, made by day; no projection of the log, and made anew from the two tables above whenever asked.
CREATE TABLE "SSObject" (
  "ssObjectId" bigint PRIMARY KEY,
  designation text,
  "nObs" integer NOT NULL,
  arc real NOT NULL,
  "firstObservationMjdTai" double precision,
  payload bytea NOT NULL
);
