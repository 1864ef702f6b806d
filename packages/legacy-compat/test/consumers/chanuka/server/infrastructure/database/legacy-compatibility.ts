export * from "@db/legacy-compat/chanuka";
