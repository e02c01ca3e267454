import { RemovalPolicy } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as apigatewayv2 from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

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

  /**
   * Sends `method path` and everything below it to `handler`, whether a slash ends the path or not.
   *
   * A route key must not end in a slash, and `/a` does not match `/a/`. A greedy variable also matches nothing, so `/a/{proxy+}`
   * matches `/a/`. Both forms reach the function unchanged, without a redirect (contract, 1.2).
   */
  route(method: apigatewayv2.HttpMethod, path: string, handler: HttpLambdaIntegration): apigatewayv2.HttpRoute[] {
    return [path, `${path}/{proxy+}`].flatMap((form) => this.addRoutes({ path: form, methods: [method], integration: handler }));
  }

  /** Sends what no route matches to `handler`, so that unknown paths and methods are answered in the contract's form too. */
  routeRest(handler: HttpLambdaIntegration): apigatewayv2.HttpRoute {
    return new apigatewayv2.HttpRoute(this, 'Rest', {
      httpApi: this,
      routeKey: apigatewayv2.HttpRouteKey.DEFAULT,
      integration: handler,
    });
  }
}

/** Hands requests to a function in payload format 2.0. One permission per function: its routes are listed once, here in the API. */
export function handledBy(handler: lambda.IFunction): HttpLambdaIntegration {
  return new HttpLambdaIntegration(handler.node.id, handler, {
    payloadFormatVersion: apigatewayv2.PayloadFormatVersion.VERSION_2_0,
    scopePermissionToRoute: false,
  });
}
