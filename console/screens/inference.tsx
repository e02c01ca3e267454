import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from 'react-router';
import type { Provider } from '../api/types.ts';
import { useApp, useLack } from '../ui/app.tsx';
import { Button, Empty, Heading, Loading, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import { providersQuery } from '../ui/queries.ts';
import { TestReport } from './test-report.tsx';

/** Settings > Inference: where models live. */
export function InferenceScreen() {
  const { client } = useApp();
  const { data, error } = useQuery(providersQuery(client));
  const lacking = useLack('changeProviders');
  return (
    <>
      <Heading>Inference providers</Heading>
      {lacking ? (
        <p>No provider can be added or tested. {lacking}</p>
      ) : (
        <p>
          Add Provider: <Link to={paths.newProvider('sagemaker')}>Amazon SageMaker</Link> or{' '}
          <Link to={paths.newProvider('http')}>Custom HTTP Endpoint</Link>
        </p>
      )}
      {error ? <Problem error={error} /> : null}
      {!data && !error ? <Loading /> : null}
      {data?.results.length === 0 ? (
        <Empty title="There is no provider yet">
          <p>Add one that your model answers at. Without a provider, jobs ask the endpoints of the deployment, if it has any.</p>
        </Empty>
      ) : null}
      {data && data.results.length > 0 ? <Table providers={data.results} /> : null}
    </>
  );
}

function Table({ providers }: { providers: readonly Provider[] }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Type</th>
          <th scope="col">Active</th>
          <th scope="col">Connection</th>
        </tr>
      </thead>
      <tbody>
        {providers.map((provider) => (
          <Row key={provider.uid} provider={provider} />
        ))}
      </tbody>
    </table>
  );
}

function Row({
  provider: { uid, name, provider_type: type, is_active: isActive, last_test_success: success },
}: {
  provider: Provider;
}) {
  const { client } = useApp();
  const queries = useQueryClient();
  const lacking = useLack('changeProviders');
  const test = useMutation({
    mutationFn: async () => (await client.post('/inference-providers/{uid}/test/', { path: { uid } })).body,
    onSuccess: () => queries.invalidateQueries({ queryKey: ['providers'] }),
  });
  const last = success === null || success === undefined ? 'not tested' : success ? 'works' : 'failed';
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{type === 'http' ? 'Custom HTTP' : 'SageMaker'}</td>
      <td>{isActive ? 'yes' : 'no'}</td>
      <td>
        {last}{' '}
        <Button off={lacking || (test.isPending && 'The test runs.')} onClick={() => test.mutate()} aria-label={`Test ${name}`}>
          Test
        </Button>
        {test.data ? <TestReport test={test.data} /> : null}
        {test.error ? <Problem error={test.error} /> : null}
      </td>
    </tr>
  );
}
