import { copyRow, loadDataset } from "../src/index.ts";

// A program of its own, so that a test can kill it in the middle of a COPY that would never end.
const url = process.argv[2]!;
const tables = [
  { name: "shelf", columns: ["id", "name"], rows: 1, lines: () => [copyRow([1, "one"])] },
  {
    name: "book",
    columns: ["id", "shelf_id", "title"],
    rows: Number.MAX_SAFE_INTEGER,
    *lines() {
      for (let id = 1; ; id++) yield copyRow([id, 1, "x".repeat(500)]);
    },
  },
];
let told = false;
await loadDataset(
  { application: "library", version: 1, seed: 1, scale: 1, tables },
  {
    url,
    onProgress: ({ current }) => {
      if (current > 20_000 && !told) {
        told = true;
        console.log("half-way");
      }
    },
  },
);
