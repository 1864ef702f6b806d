import { fileURLToPath } from "node:url";
import { type Application, defineApplication } from "@db/orchestrator";
import { demonstrationQueries } from "./demonstration.ts";
import { chanukaIndexPack } from "./index-pack.ts";
import { seedChanuka } from "./seed.ts";
import { chanukaValidationRules } from "./validation-rules.ts";

/** Chanuka as the orchestrator takes it. */
export const chanuka: Application = defineApplication({
  name: "chanuka",
  title: "Chanuka, bills and those who make them",
  migrationsDirectory: fileURLToPath(new URL("../migrations", import.meta.url)),
  seed: seedChanuka,
  validationRules: chanukaValidationRules,
  indexPack: chanukaIndexPack,
  demonstrationQueries,
});
