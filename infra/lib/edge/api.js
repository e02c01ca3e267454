// Viewer request of `/api/*`, at the edge (CloudFront Functions, runtime 2.0): the path without its last slash. That a route of an HTTP API
// takes a path with one is known from reports alone; without it each path has a route of its own. The API answers both alike (contract, 1.2).
function handler(event) {
  const request = event.request;
  if (request.uri.endsWith('/')) request.uri = request.uri.slice(0, -1);
  return request;
}
