import { useQuery, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createBrowserRouter, RouterProvider } from 'react-router';
import { Client } from './api/client.ts';
import { Frame } from './screens/frame.tsx';
import { ProjectScreen } from './screens/project.tsx';
import { Projects } from './screens/projects.tsx';
import { OtherKey, SignIn } from './screens/sign-in.tsx';
import { AppProvider, useKey } from './ui/app.tsx';
import { Heading, Loading, Problem } from './ui/parts.tsx';
import { takeKeyOfFragment, watchUse, whyForgotten } from './ui/session.ts';
import './ui/tokens.css';

const settings = () => import('./screens/settings.ts');
const review = () => import('./screens/review.ts');
const exchange = () => import('./screens/exchange.ts');

const router = createBrowserRouter([
  {
    element: <Frame />,
    children: [
      { path: '/', element: <Projects /> },
      { path: '/projects/:project', element: <ProjectScreen /> },
      {
        path: '/projects/:project/items/:item',
        lazy: async () => ({ Component: (await import('./screens/editor.tsx')).EditorScreen }),
      },
      { path: '/projects/:project/review', lazy: async () => ({ Component: (await review()).ReviewScreen }) },
      { path: '/projects/:project/bulk', lazy: async () => ({ Component: (await review()).BulkScreen }) },
      { path: '/projects/:project/auto-label', lazy: async () => ({ Component: (await settings()).AutoLabelScreen }) },
      { path: '/projects/:project/exports', lazy: async () => ({ Component: (await exchange()).ExportsScreen }) },
      { path: '/projects/:project/imports', lazy: async () => ({ Component: (await exchange()).ImportsScreen }) },
      { path: '/jobs/:job', lazy: async () => ({ Component: (await settings()).JobScreen }) },
      { path: '/settings/inference', lazy: async () => ({ Component: (await settings()).InferenceScreen }) },
      { path: '/settings/inference/new/:type', lazy: async () => ({ Component: (await settings()).NewProviderScreen }) },
      { path: '*', element: <Missing /> },
    ],
  },
]);

const signIns = new QueryClient({ defaultOptions: { queries: { retry: false, gcTime: 0, refetchOnWindowFocus: false } } });

function Missing() {
  return (
    <>
      <Heading>There is no such page</Heading>
      <Problem error="The address leads nowhere." />
    </>
  );
}

/** Asks for a key, and shows the screens when it opens something. */
function Gate() {
  const key = useKey();
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ['key', key],
    enabled: key !== null,
    staleTime: Infinity,
    queryFn: async ({ signal }) => (await new Client(key ?? '').get('/keys/me/', { signal })).body,
  });
  if (key !== null && data) {
    return (
      <>
        <OtherKey />
        <AppProvider key={key} apiKey={key} about={data}>
          <RouterProvider router={router} />
        </AppProvider>
      </>
    );
  }
  return isFetching ? <Loading /> : <SignIn error={key === null ? whyForgotten() : error} again={() => void refetch()} />;
}

takeKeyOfFragment();
addEventListener('hashchange', takeKeyOfFragment);
watchUse();
const root = document.querySelector('#root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={signIns}>
        <Gate />
      </QueryClientProvider>
    </StrictMode>,
  );
}
