export { chanuka } from "./chanuka.ts";
export { chanukaDataset } from "./data/dataset.ts";
export { type FaultId, faultRows, faults } from "./data/fault.ts";
export { type ChanukaSeedOptions, seedChanuka } from "./seed.ts";
