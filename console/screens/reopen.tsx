import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useApp, useLack } from '../ui/app.tsx';
import { Button, Problem } from '../ui/parts.tsx';
import type { Ready } from './editor.tsx';

/** Makes an accepted result a draft again, or one that was rejected in this tab: rejected ones are in no list. */
export function Reopen({ ready: { item, result, etag, session, project } }: { ready: Ready }) {
  const { client, rejected } = useApp();
  const queries = useQueryClient();
  const lacking = useLack('review');
  const uid = result?.status === 'accepted' ? result.uid : result === null ? rejected.get(item.uid) : undefined;
  const reopen = useMutation({
    mutationFn: (closed: string) =>
      client.post('/results/{uid}/reopen/', { path: { uid: closed }, ifMatch: etag === '' ? undefined : etag }),
    onSuccess: async () => {
      rejected.delete(item.uid);
      await queries.invalidateQueries({ queryKey: ['items', project] });
      await queries.resetQueries({ queryKey: ['item', item.uid] });
    },
  });
  if (uid === undefined) {
    return null;
  }
  const off =
    lacking ||
    (session.isChanged() && 'Accept or undo what you have changed first.') ||
    (reopen.isPending && 'It is being reopened.');
  return (
    <>
      <Button off={off} title="Make it a draft again" onClick={() => reopen.mutate(uid)}>
        Reopen
      </Button>
      {reopen.error ? <Problem error={reopen.error} /> : null}
    </>
  );
}
