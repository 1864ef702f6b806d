export { type Assets, assetsDirectory, AssetsMissingError, readAssets } from "./assets.ts";
export { renderPage } from "./render.tsx";
export type {
  ActivityView,
  BackupsView,
  Chart,
  ConnectionsView,
  IndexesView,
  MigrationsView,
  QualityView,
  ReplicationView,
  Series,
  ServerFacts,
  StatusView,
  StepView,
  TopQueriesView,
  TopQuery,
} from "./view.ts";
