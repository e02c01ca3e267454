import { RemovalPolicy } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as apigatewayv2 from 'aws-cdk-lib/aws-apigatewayv2';
import type { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';

/** The HTTP API with one stage, deployed by itself, and an access log without headers and query strings. */
export class HttpApi extends apigatewayv2.HttpApi {
  readonly stage: apigatewayv2.HttpStage;

  constructor(scope: Construct, id: string, props: { readonly stageName: string }) {
    super(scope, id, { createDefaultStage: false });
    const accessLog = new logs.LogGroup(this, 'AccessLog', {
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stage = this.addStage('Stage', {
      stageName: props.stageName,
      autoDeploy: true,
      accessLogSettings: {
        destination: new apigatewayv2.LogGroupLogDestination(accessLog),
        format: apigateway.AccessLogFormat.custom(
          JSON.stringify({
            requestId: '$context.requestId',
            time: '$context.requestTime',
            ip: '$context.identity.sourceIp',
            method: '$context.httpMethod',
            path: '$context.path',
            route: '$context.routeKey',
            status: '$context.status',
            responseBytes: '$context.responseLength',
            latencyMs: '$context.responseLatency',
            error: '$context.integrationErrorMessage',
          }),
        ),
      },
    });
  }

  /** Without a slash at the end. */
  get stageUrl(): string {
    const { stageName } = this.stage;
    return stageName === '$default' ? this.apiEndpoint : `${this.apiEndpoint}/${stageName}`;
  }

  /**
   * Sends `method path` and everything below it to `handler`, whether a slash ends the path or not.
   *
   * A route key must not end in a slash, and `/a` does not match `/a/`. A greedy variable also matches nothing, so `/a/{proxy+}`
   * matches `/a/`. Both forms reach the function unchanged, without a redirect (contract, 1.2).
   */
  route(method: apigatewayv2.HttpMethod, path: string, handler: HttpLambdaIntegration): void {
    for (const form of [path, `${path}/{proxy+}`]) {
      this.addRoutes({ path: form, methods: [method], integration: handler }).forEach(acknowledgeNoAuthorizer);
    }
  }

  /** Sends requests that no route matches to `handler`, so that unknown paths and methods are answered in the contract's form too. */
  routeRest(handler: HttpLambdaIntegration): void {
    const routeKey = apigatewayv2.HttpRouteKey.DEFAULT;
    acknowledgeNoAuthorizer(new apigatewayv2.HttpRoute(this, 'Rest', { httpApi: this, routeKey, integration: handler }));
  }
}

function acknowledgeNoAuthorizer(route: apigatewayv2.HttpRoute): void {
  acknowledge(route, 'APIG4', 'The function authenticates: an authorizer cannot refuse with 401 and a `detail` body.');
}
