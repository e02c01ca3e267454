import { type HttpMethod, HttpRoute, HttpRouteKey, PayloadFormatVersion } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { acknowledge } from '../acknowledge.ts';
import type { AutoLabel } from '../autolabel.ts';
import type { FunctionName, Settings } from '../settings.ts';
import type { HttpApi } from './http-api.ts';
import { RustFunction, type RustFunctionProps } from './rust-function.ts';

/** The gateway waits 30 seconds for an answer. Some calls need most of them: they wait for a model or a receiver, or read many files. */
const TIMEOUT_SECONDS = 29;

/** A function that answers requests of the API, and authenticates each one itself. */
export class ApiFunction extends RustFunction {
  private readonly api: HttpApi;
  private readonly integration: HttpLambdaIntegration;

  constructor(app: AutoLabel, name: FunctionName, props: Omit<RustFunctionProps, 'timeoutSeconds'>) {
    const environment = { API_SETTINGS: apiSettings(app.settings), ...props.environment };
    super(app, name, { ...props, timeoutSeconds: TIMEOUT_SECONDS, environment });
    this.api = app.api;
    // One permission per function, and not one per route.
    const scopePermissionToRoute = false;
    const payloadFormatVersion = PayloadFormatVersion.VERSION_2_0;
    this.integration = new HttpLambdaIntegration(name, this, { payloadFormatVersion, scopePermissionToRoute });
  }

  /**
   * Takes requests of `method` for `path` and everything below it, whether a slash ends the path or not.
   *
   * A route key must not end in a slash, and `/a` does not match `/a/`. A greedy variable also matches nothing, so `/a/{proxy+}`
   * matches `/a/`. Both forms reach the function unchanged, without a redirect (contract, 1.2).
   */
  route(method: HttpMethod, path: string): void {
    for (const form of [path, `${path}/{proxy+}`]) this.addRoute(`${method}${form}`, HttpRouteKey.with(form, method));
  }

  /** Takes the requests that no route matches, so that unknown paths and methods are answered in the contract's form too. */
  routeRest(): void {
    this.addRoute('Rest', HttpRouteKey.DEFAULT);
  }

  private addRoute(id: string, routeKey: HttpRouteKey): void {
    const route = new HttpRoute(this.api, id, { httpApi: this.api, routeKey, integration: this.integration });
    acknowledge(route, 'APIG4', 'The function authenticates: an authorizer cannot refuse with 401 and a `detail` body.');
  }
}

/** `Settings` of `shared/src/http`. */
function apiSettings(settings: Settings): string {
  const { requestsPerMinute, requestsPerSecond, unauthenticatedPerMinute } = settings;
  return JSON.stringify({
    public_base_url: settings.publicBaseUrl,
    key_cache_seconds: settings.keyCacheSeconds,
    limit: { per_minute: requestsPerMinute, per_second: requestsPerSecond },
    unauthenticated_limit: { per_minute: unauthenticatedPerMinute, per_second: requestsPerSecond },
    cors_origin: settings.corsOrigin,
    public_description: settings.publicDescription === 'allow',
  });
}
