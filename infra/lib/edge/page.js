// Viewer request of `/*`, at the edge (CloudFront Functions, runtime 2.0): a screen of the page is the page. A name with a dot is a file, and
// so is all of the API reference. CloudFront's own error pages cannot do this: they would turn every 404 of the API into the page.
function handler(event) {
  const request = event.request;
  const uri = request.uri;
  if (uri === '/reference/') {
    request.uri = '/reference/index.html';
  } else if (!uri.startsWith('/reference/') && !uri.slice(uri.lastIndexOf('/')).includes('.')) {
    request.uri = '/index.html';
  }
  return request;
}
