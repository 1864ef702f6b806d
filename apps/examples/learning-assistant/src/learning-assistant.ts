import { fileURLToPath } from "node:url";
import { loadDataset } from "@db/example-datagen";
import { type Application, defineApplication } from "@db/orchestrator";
import { learningDataset } from "./dataset.ts";
import { demonstrationQueries } from "./demonstration.ts";
import { learningIndexPack } from "./index-pack.ts";
import { learningValidationRules } from "./validation-rules.ts";

/** The learning platform as the orchestrator takes it. */
export const learningAssistant: Application = defineApplication({
  name: "learning-assistant",
  title: "Learning Assistant, courses and quizzes",
  migrationsDirectory: fileURLToPath(new URL("../migrations", import.meta.url)),
  seed: ({ scale = 1, ...load }) => loadDataset(learningDataset({ scale }), load),
  validationRules: learningValidationRules,
  indexPack: learningIndexPack,
  demonstrationQueries,
});
