/** Sends a file to a signed address. By XMLHttpRequest: fetch does not report how far a body is sent. */
export function put(url: string, file: File, sent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (message: string) => reject(new Error(message));
    request.upload.addEventListener('progress', ({ loaded }) => sent(loaded));
    request.addEventListener('load', () =>
      request.status < 300 ? resolve() : fail(`${new URL(url).host} answers ${request.status}.`),
    );
    request.addEventListener('error', () => fail(`${new URL(url).host} cannot be reached, or does not take files of this page.`));
    request.addEventListener('abort', () => fail('It was stopped.'));
    signal.addEventListener('abort', () => request.abort());
    request.open('PUT', url);
    // Without a type: the address is signed for a body that has none.
    request.send(file.slice(0, file.size, ''));
  });
}
