export { learningDataset } from "./dataset.ts";
export { type FaultId, faults } from "./fault.ts";
export { learningAssistant } from "./learning-assistant.ts";
