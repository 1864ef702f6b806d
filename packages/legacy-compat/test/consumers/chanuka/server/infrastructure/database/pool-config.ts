export * from "@db/legacy-compat/chanuka/pool-config";
