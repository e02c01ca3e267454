import { RemovalPolicy } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as apigatewayv2 from 'aws-cdk-lib/aws-apigatewayv2';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Settings } from '../settings.ts';
import { Alarm, FIVE_MINUTES, LASTING, percent } from './alarm.ts';

/** Of the requests of five minutes. */
const ERRORS_PERCENT = 1;
/** Fewer requests have no rate: one error of ten is an accident. */
const LEAST_REQUESTS = 100;
/** A sweep works for 15 seconds, and waiting for a test of a provider takes longer: but not one request in twenty. */
const SLOW_MS = 10_000;

/** The HTTP API with one stage, deployed by itself, and an access log without headers and query strings. */
export class HttpApi extends apigatewayv2.HttpApi {
  readonly stage: apigatewayv2.HttpStage;

  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, { createDefaultStage: false });
    const accessLog = new logs.LogGroup(this, 'AccessLog', {
      retention: settings.logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.stage = this.addStage('Stage', {
      stageName: settings.stageName,
      autoDeploy: true,
      throttle: { rateLimit: settings.stageRequestsPerSecond, burstLimit: settings.stageBurst },
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
    this.alarmOnFailure();
  }

  private alarmOnFailure(): void {
    const requests = this.metricCount(FIVE_MINUTES);
    new Alarm(this.node.scope!, 'ApiErrorsAlarm', {
      event: 'the API answers 5xx',
      metric: percent(this.metricServerError(FIVE_MINUTES), requests, { least: LEAST_REQUESTS }),
      threshold: ERRORS_PERCENT,
      periods: LASTING,
    });
    const slow = this.metricLatency({ ...FIVE_MINUTES, statistic: 'p95' });
    const expression = `IF(requests >= ${LEAST_REQUESTS}, slow, 0)`;
    new Alarm(this.node.scope!, 'ApiLatencyAlarm', {
      event: 'the API answers slowly',
      metric: new cloudwatch.MathExpression({ expression, usingMetrics: { requests, slow }, label: 'p95', ...FIVE_MINUTES }),
      threshold: SLOW_MS,
      periods: LASTING,
    });
  }

  /** Without a slash at the end. */
  get stageUrl(): string {
    const { stageName } = this.stage;
    return stageName === '$default' ? this.apiEndpoint : `${this.apiEndpoint}/${stageName}`;
  }
}
