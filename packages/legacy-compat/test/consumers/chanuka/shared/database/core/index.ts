export * from "@db/legacy-compat/chanuka/core";
