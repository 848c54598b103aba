CREATE TABLE properties (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  city TEXT NOT NULL,
  bedrooms INTEGER NOT NULL,
  rent INTEGER NOT NULL,
  description TEXT NOT NULL
);
CREATE INDEX by_city ON properties (city);
