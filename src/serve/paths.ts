// Every path that answers, with what is there: the landing page's links and the list in a 404.
// A test holds it to the routes.

export interface Path {
  readonly path: string;
  readonly what: string;
}

export const PATHS: readonly Path[] = [
  { path: '/', what: 'this agent at a glance' },
  { path: '/metrics', what: 'metrics for Prometheus: text, OpenMetrics or protobuf' },
  { path: '/-/healthy', what: 'health: 200 while the process answers' },
  { path: '/-/ready', what: 'readiness: 200 once the probes are attached, else 503' },
  { path: '/api/v1/probes', what: 'probes as JSON, up or why not' },
  { path: '/api/v1/outliers', what: 'recent outliers as JSON, newest first' },
  { path: '/api/v1/drops', what: 'recent drops as JSON, newest first' },
];
