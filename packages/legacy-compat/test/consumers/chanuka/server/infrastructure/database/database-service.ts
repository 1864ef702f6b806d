export * from "@db/legacy-compat/chanuka/database-service";
