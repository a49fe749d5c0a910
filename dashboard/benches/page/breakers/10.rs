breakers!([0]);
