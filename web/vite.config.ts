import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  resolve: {
    // ONNX Runtime without its loader in the bundle: that starts the threads, from its own address.
    conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"],
  },
  build: {
    outDir: "../build/web",
    emptyOutDir: true,
    target: "es2022",
    // The server's policy allows no data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
});
