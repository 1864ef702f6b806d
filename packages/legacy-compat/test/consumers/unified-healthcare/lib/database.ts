export * from "@db/legacy-compat/unified-healthcare";
