-- Histories of finished months as preloads take them (apdb/postgres/packedHistory.ts): a row a tile, made by `maintain`
-- of rows that stay where they are. No part of the projection: without it everything is read from those.

-- Months (of 30 days, counted from MJD 0) that are packed, fromMonth ≤ m < toMonth, and where: "HistoryChunk_<generation>".
-- Changes of months before markedToMonth are marked below. layout: of the bytes (apdb/historyChunk.ts).
CREATE TABLE "PackedHistory" (
  "isOnly" boolean PRIMARY KEY DEFAULT true CHECK ("isOnly"),
  generation integer NOT NULL,
  layout integer NOT NULL,
  "fromMonth" integer NOT NULL,
  "toMonth" integer NOT NULL,
  "markedToMonth" integer NOT NULL
);
INSERT INTO "PackedHistory" (generation, layout, "fromMonth", "toMonth", "markedToMonth") VALUES (0, 0, 0, 0, 0);

-- The shape of each generation. The columns are mostly floats: compressing them would cost time for nothing.
CREATE TABLE "HistoryChunk" (
  tile integer PRIMARY KEY,
  sources bytea NOT NULL,
  "forcedSources" bytea NOT NULL
);
ALTER TABLE "HistoryChunk" ALTER sources SET STORAGE EXTERNAL, ALTER "forcedSources" SET STORAGE EXTERNAL;

-- Tiles with changes in those months by commits up to `position`: their chunks are not read.
CREATE TABLE "StaleChunk" (
  tile integer PRIMARY KEY,
  position bigint NOT NULL
);
