CREATE TABLE properties (
  id TEXT PRIMARY KEY,
  city TEXT NOT NULL,
  description TEXT NOT NULL
);
CREATE INDEX by_city ON properties (city);

CREATE TABLE interactions (
  user TEXT NOT NULL,
  property TEXT NOT NULL REFERENCES properties (id),
  kind TEXT NOT NULL CHECK (kind IN ('viewed', 'saved', 'dismissed')),
  at INTEGER NOT NULL,
  PRIMARY KEY (user, property)
) WITHOUT ROWID;

INSERT INTO properties (id, city, description) VALUES
  ('garden-house', 'Aarhus',
   'A quiet house with a large garden near a park, good for families with children.'),
  ('park-flat', 'Aarhus',
   'A quiet flat with a small garden, next to the park, good for a family.'),
  ('harbour-loft', 'Aarhus',
   'A modern loft in the harbour with a view of the sea, close to bars and restaurants.'),
  ('city-studio', 'Aarhus',
   'A small modern studio in the city centre, close to bars, shops and restaurants.'),
  ('sea-cottage', 'Aarhus',
   'A cottage by the sea with a view of the harbour and a boat of its own.'),
  ('fell-farm', 'Tromsø',
   'A remote farmhouse with stables and ten hectares of fields.');
