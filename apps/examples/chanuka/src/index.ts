export { chanukaDataset } from "./data/dataset.ts";
export { type Fault, type FaultId, faultRows, faults } from "./data/fault.ts";
