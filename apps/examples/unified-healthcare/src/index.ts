export { healthcareDataset } from "./dataset.ts";
export { type FaultId, faults } from "./fault.ts";
export { unifiedHealthcare } from "./unified-healthcare.ts";
