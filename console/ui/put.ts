/** Sends a file to a signed address. By XMLHttpRequest: fetch does not report how far a body is sent. */
export function put(url: string, file: File, sent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (message: string) => reject(new Error(message));
    const stop = () => request.abort();
    request.upload.addEventListener('progress', ({ loaded }) => sent(loaded));
    request.addEventListener('load', () =>
      request.status < 300 ? resolve() : fail(`${new URL(url).host} answers ${request.status}.`),
    );
    request.addEventListener('error', () => fail(`${new URL(url).host} cannot be reached, or does not take files of this page.`));
    request.addEventListener('abort', () => fail('It was stopped.'));
    // One signal is of all files: it must not keep each request, and by it each file, until the last one is sent.
    request.addEventListener('loadend', () => signal.removeEventListener('abort', stop));
    signal.addEventListener('abort', stop, { once: true });
    request.open('PUT', url);
    // Without a type: the address is signed for a body that has none.
    request.send(file.slice(0, file.size, ''));
  });
}
