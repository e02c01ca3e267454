import { RemovalPolicy } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as apigatewayv2 from 'aws-cdk-lib/aws-apigatewayv2';
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

  /** Without a slash at the end. */
  get stageUrl(): string {
    const { stageName } = this.stage;
    return stageName === '$default' ? this.apiEndpoint : `${this.apiEndpoint}/${stageName}`;
  }
}
