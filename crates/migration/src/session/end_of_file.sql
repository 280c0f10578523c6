-- What a file set or made for its session ends with it, as with one `psql -f` a file.
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
DEALLOCATE ALL;
CLOSE ALL;
UNLISTEN *;
DISCARD TEMP;
DISCARD SEQUENCES;
