INSERT INTO properties (id, title, city, bedrooms, rent, description) VALUES
  ('harbour-9', 'Harbour Street 9', 'Bergen', 2, 1450,
   'Top floor with a lift. Dogs are welcome. Parking in the cellar costs 90 a month.'),
  ('mill-2', 'The Old Mill', 'Odense', 4, 2100,
   'A mill by the river with its own garden. No pets. Parking is free.'),
  ('tower-17', 'Tower Flat 17', 'Bergen', 1, 980,
   'A studio on the 17th floor, with a gym in the house. There is no parking.');
