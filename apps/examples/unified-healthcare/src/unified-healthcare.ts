import { fileURLToPath } from "node:url";
import { loadDataset } from "@db/example-datagen";
import { type Application, defineApplication } from "@db/orchestrator";
import { healthcareDataset } from "./dataset.ts";
import { demonstrationQueries } from "./demonstration.ts";
import { healthcareIndexPack } from "./index-pack.ts";
import { healthcareValidationRules } from "./validation-rules.ts";

/** The clinic as the orchestrator takes it. */
export const unifiedHealthcare: Application = defineApplication({
  name: "unified-healthcare",
  title: "Unified Healthcare, patients and appointments",
  migrationsDirectory: fileURLToPath(new URL("../migrations", import.meta.url)),
  seed: ({ scale = 1, ...load }) => loadDataset(healthcareDataset({ scale }), load),
  validationRules: healthcareValidationRules,
  indexPack: healthcareIndexPack,
  demonstrationQueries,
});
