import { defineConfig } from "vite";

// Only the browser's part: the server's is compiled by tsc beside it.
export default defineConfig({
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: { conditions: ["@db/source", "browser", "import", "default"] },
  build: {
    outDir: "dist/assets",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: false,
    target: "es2023",
    rollupOptions: {
      input: "src/client.tsx",
      output: {
        entryFileNames: "[name]-[hash].js",
        chunkFileNames: "[name]-[hash].js",
        assetFileNames: "[name]-[hash][extname]",
      },
    },
  },
});
