-- Last commit that added to the histories of a tile (apdb/tiles.ts): a cached tile that is older lacks something. A tile
-- without a row has not been touched since there are cached tiles.
CREATE TABLE "HistoryTile" (
  tile integer PRIMARY KEY,
  "commitFrom" bigint NOT NULL
) WITH (fillfactor = 50);

-- Names this filling of the tables: whatever is cached of another one is not ours.
INSERT INTO metadata (name, value) VALUES ('epoch', gen_random_uuid()::text);
