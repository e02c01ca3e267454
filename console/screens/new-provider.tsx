import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type SyntheticEvent } from 'react';
import { useNavigate, useParams } from 'react-router';
import { ApiError, free } from '../api/client.ts';
import type { Provider } from '../api/types.ts';
import { useApp, useLack, type App } from '../ui/app.tsx';
import { Button, Field, Heading, Problem } from '../ui/parts.tsx';
import { paths } from '../ui/paths.ts';
import css from './settings.module.css';
import { TestReport } from './test-report.tsx';

type Kind = 'sagemaker' | 'http';
type Values = Readonly<Record<string, string>>;

interface Input {
  readonly name: string;
  readonly label: string;
  readonly hint: string;
  readonly type?: 'password' | 'number' | 'url';
  readonly first?: string;
}

const NAME: Input = { name: 'name', label: 'Name', hint: 'For people.' };
const INPUTS: Record<Kind, readonly Input[]> = {
  sagemaker: [
    NAME,
    { name: 'endpoint_name', label: 'Endpoint Name', hint: 'Of the SageMaker endpoint.' },
    { name: 'region', label: 'Region', hint: 'Such as us-east-1.', first: 'us-east-1' },
    { name: 'role_arn', label: 'IAM Role ARN', hint: 'The role to assume. Empty: the deployment calls the endpoint itself.' },
  ],
  http: [
    NAME,
    { name: 'endpoint_url', label: 'Endpoint URL', hint: 'HTTPS.', type: 'url' },
    { name: 'timeout', label: 'Timeout', hint: 'Seconds, 1 to 120.', type: 'number', first: '30' },
  ],
};
const AUTHENTICATION = { none: 'None', bearer: 'Bearer token', header: 'Custom header' } as const;

/** Add Provider: its settings, Test Connection, Save. */
export function NewProviderScreen() {
  const kind: Kind = useParams()['type'] === 'http' ? 'http' : 'sagemaker';
  const [values, setValues] = useState<Values>(() =>
    Object.fromEntries(INPUTS[kind].map(({ name, first = '' }) => [name, first])),
  );
  const { provider, test, save } = useProvider(kind, values);
  const error = save.error ?? test.error;
  const lacking = useLack('changeProviders');
  const off = lacking || (test.isPending && 'The test runs.') || (save.isPending && 'It is being saved.');
  return (
    <>
      <Heading>{kind === 'http' ? 'Add a custom HTTP endpoint' : 'Add an Amazon SageMaker endpoint'}</Heading>
      <form onSubmit={(event: SyntheticEvent) => (event.preventDefault(), save.mutate())}>
        <Inputs
          kind={kind}
          values={values}
          error={error}
          set={(name, value) => {
            setValues({ ...values, [name]: value });
            // What was said of the values before is over.
            test.reset();
            save.reset();
          }}
        />
        <div className={css['actions']}>
          <Button off={off} onClick={() => test.mutate()}>
            Test Connection
          </Button>
          <Button type="submit" kind="main" off={off}>
            Save
          </Button>
        </div>
      </form>
      {test.data ? <TestReport test={test.data} /> : null}
      {error ? <Problem error={error} /> : null}
      {provider?.trust_policy ? <TrustPolicy policy={provider.trust_policy} /> : null}
    </>
  );
}

/** A test needs a provider. It is not active, so that no job takes it before it is saved. */
function useProvider(kind: Kind, values: Values) {
  const app = useApp();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [provider, setProvider] = useState<Provider | null>(null);
  const test = useMutation({
    mutationFn: async () => {
      const kept = await keep(app, kind, values, provider, false);
      setProvider(kept);
      return (await app.client.post('/inference-providers/{uid}/test/', { path: { uid: kept.uid } })).body;
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['providers'] }),
  });
  const save = useMutation({
    mutationFn: () => keep(app, kind, values, provider, true),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['providers'] });
      await navigate(paths.inference());
    },
  });
  return { provider, test, save };
}

interface InputsProps {
  readonly kind: Kind;
  readonly values: Values;
  readonly error: unknown;
  set(name: string, value: string): void;
}

function Inputs({ kind, values, error, set }: InputsProps) {
  const wrong = (name: string) =>
    error instanceof ApiError ? (error.errors[name] ?? error.errors[`config.${name}`]) : undefined;
  return (
    <>
      {INPUTS[kind].map(({ name, label, hint, type = 'text' }) => (
        <Field
          key={name}
          label={label}
          hint={hint}
          type={type}
          wrong={wrong(name)}
          value={values[name] ?? ''}
          onChange={(event) => set(name, event.target.value)}
        />
      ))}
      {kind === 'http' ? <Authentication values={values} wrong={wrong('auth_header')} set={set} /> : null}
    </>
  );
}

function Authentication({ values, wrong, set }: Pick<InputsProps, 'values' | 'set'> & { wrong: readonly string[] | undefined }) {
  const auth = values['auth_type'] ?? 'none';
  const hint = auth === 'bearer' ? 'The token alone.' : 'One line, Name: value.';
  return (
    <>
      <label>
        Authentication{' '}
        <select value={auth} onChange={(event) => set('auth_type', event.target.value)}>
          {Object.entries(AUTHENTICATION).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      {auth === 'none' ? null : (
        <Field
          label={auth === 'bearer' ? 'Token' : 'Header'}
          hint={`${hint} It is stored encrypted and never shown.`}
          type="password"
          autoComplete="off"
          wrong={wrong}
          value={values['auth_header'] ?? ''}
          onChange={(event) => set('auth_header', event.target.value)}
        />
      )}
    </>
  );
}

function TrustPolicy({ policy }: { policy: unknown }) {
  const text = JSON.stringify(policy, null, 2);
  return (
    <section aria-label="Trust policy">
      <p>The role needs this trust policy:</p>
      <textarea
        readOnly
        wrap="off"
        rows={text.split('\n').length + 1}
        value={text}
        aria-label="Trust policy"
        className={css['policy']}
      />
      <Button onClick={() => void navigator.clipboard.writeText(text)}>Copy</Button>
    </section>
  );
}

/** Creates the provider, or changes the one that the test has created. */
async function keep(
  { client }: App,
  kind: Kind,
  values: Values,
  provider: Provider | null,
  isActive: boolean,
): Promise<Provider> {
  const { name = '', ...given } = values;
  // A token that was typed before None was chosen is not sent.
  const hasAuth = (given['auth_type'] ?? 'none') !== 'none';
  const entries = Object.entries(given).filter(([key, value]) => value !== '' && (key !== 'auth_header' || hasAuth));
  const config = free(Object.fromEntries(entries.map(([key, value]) => [key, key === 'timeout' ? Number(value) : value])));
  const body = { name, config, is_active: isActive };
  if (provider) {
    return (await client.patch('/inference-providers/{uid}/', { path: { uid: provider.uid }, body })).body;
  }
  return (await client.post('/inference-providers/', { body: { ...body, provider_type: kind } })).body;
}
