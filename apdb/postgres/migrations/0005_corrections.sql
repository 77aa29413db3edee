-- Day-time corrections: versions of rows that have ended, copied here from DiaSource and SSSource when another takes
-- their place. commitTo: the correction that ended them. The hot tables hold only what is valid now.

CREATE TABLE "DiaSourceHistory" (
  LIKE "DiaSource",
  "commitTo" bigint NOT NULL,
  PRIMARY KEY ("diaSourceId", "commitFrom")
);
CREATE INDEX "DiaSourceHistory_homePixel" ON "DiaSourceHistory" ("homePixel");

CREATE TABLE "SSSourceHistory" (
  LIKE "SSSource",
  "commitTo" bigint NOT NULL,
  PRIMARY KEY ("diaSourceId", "commitFrom")
);
