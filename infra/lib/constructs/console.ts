import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront';
import * as origins from 'aws-cdk-lib/aws-cloudfront-origins';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import * as path from 'node:path';
import { acknowledge } from '../acknowledge.ts';
import { existing } from '../files.ts';
import type { Settings } from '../settings.ts';
import { EDGE_FOLDER } from '../shipped.ts';
import { ConsoleFiles, type Files, filesOf } from './console-files.ts';
import { nameInAccount, PageHeaders, ReferenceHeaders } from './console-headers.ts';
import type { HttpApi } from './http-api.ts';

const PRICE_CLASSES = {
  '100': cloudfront.PriceClass.PRICE_CLASS_100,
  '200': cloudfront.PriceClass.PRICE_CLASS_200,
  all: cloudfront.PriceClass.PRICE_CLASS_ALL,
} as const;

export interface ConsoleProps {
  readonly settings: Settings;
  readonly api: HttpApi;
  /** Origins of the files of items. */
  readonly pictures: readonly string[];
}

/**
 * Mission Control: a private bucket with its files, and one CloudFront distribution in front of them and of the API. So the page calls
 * its own origin, and no call needs a preflight (decision 0042).
 */
export class Console extends Construct {
  readonly distribution: cloudfront.Distribution;
  /** As browsers write it, without a slash at the end. */
  readonly origin: string;

  constructor(scope: Construct, id: string, { settings, api, pictures }: ConsoleProps) {
    super(scope, id);
    const files = filesOfPage(settings);
    const bucket = this.createBucket();
    this.distribution = new cloudfront.Distribution(this, 'Distribution', {
      comment: 'Autolabel: Mission Control, and the API below /api/',
      defaultRootObject: 'index.html',
      ...this.behaviors(bucket, api, pictures),
      httpVersion: cloudfront.HttpVersion.HTTP2_AND_3,
      priceClass: PRICE_CLASSES[settings.consolePriceClass],
      ...this.domain(settings),
      ...(settings.webAclArn === '' ? {} : { webAclId: settings.webAclArn }),
      ...this.logging(settings),
    });
    this.origin = `https://${settings.consoleDomain || this.distribution.distributionDomainName}`;
    new ConsoleFiles(this, 'Files', { bucket, distribution: this.distribution, files, logDays: settings.logDays });
    this.acknowledgeFindings(settings);
  }

  private createBucket(): s3.IBucket {
    const bucket = new s3.Bucket(this, 'Bucket', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      // A bucket with files cannot be deleted, and to empty it takes a function with the right to delete.
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(bucket, 'S1', 'CloudFront alone reads it, and its files are no secret.');
    return bucket as s3.IBucket;
  }

  private behaviors(bucket: s3.IBucket, api: HttpApi, pictures: readonly string[]) {
    const files = {
      ...this.fileOrigin(bucket),
      viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
      ...this.atEdge('Page', 'page.js'),
    };
    return {
      defaultBehavior: { ...files, responseHeadersPolicy: new PageHeaders(this, 'PageHeaders', pictures) },
      additionalBehaviors: {
        '/reference/*': { ...files, responseHeadersPolicy: new ReferenceHeaders(this, 'ReferenceHeaders') },
        '/api/*': this.apiBehavior(api),
      },
    };
  }

  private fileOrigin(bucket: s3.IBucket): { origin: cloudfront.IOrigin } {
    const originAccessControl = new cloudfront.S3OriginAccessControl(this, 'Access', {
      originAccessControlName: nameInAccount(this, 'Access'),
    });
    return { origin: origins.S3BucketOrigin.withOriginAccessControl(bucket, { originAccessControl }) };
  }

  /** All of a request but its `Host`, which an HTTP API must know as its own; nothing is cached. A key is never sent without TLS. */
  private apiBehavior(api: HttpApi): cloudfront.BehaviorOptions {
    const { region, urlSuffix } = Stack.of(this);
    const { stageName } = api.stage;
    return {
      origin: new origins.HttpOrigin(`${api.apiId}.execute-api.${region}.${urlSuffix}`, {
        protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
        ...(stageName === '$default' ? {} : { originPath: `/${stageName}` }),
      }),
      allowedMethods: cloudfront.AllowedMethods.ALLOW_ALL,
      cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
      originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
      viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
      ...this.atEdge('Api', 'api.js'),
    };
  }

  private atEdge(id: string, file: string): Pick<cloudfront.BehaviorOptions, 'functionAssociations'> {
    const fn = new cloudfront.Function(this, id, {
      runtime: cloudfront.FunctionRuntime.JS_2_0,
      code: cloudfront.FunctionCode.fromFile({ filePath: path.join(EDGE_FOLDER, file) }),
    });
    return { functionAssociations: [{ function: fn, eventType: cloudfront.FunctionEventType.VIEWER_REQUEST }] };
  }

  private domain({ consoleDomain, consoleCertificateArn }: Settings) {
    if (consoleDomain === '') return {};
    return {
      domainNames: [consoleDomain],
      certificate: acm.Certificate.fromCertificateArn(this, 'Certificate', consoleCertificateArn),
      minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
    };
  }

  private logging({ consoleLogBucket }: Settings) {
    if (consoleLogBucket === '') return {};
    return {
      enableLogging: true,
      logBucket: s3.Bucket.fromBucketName(this, 'LogBucket', consoleLogBucket),
      logFilePrefix: 'console/',
    };
  }

  private acknowledgeFindings({ consoleDomain, webAclArn, consoleLogBucket }: Settings): void {
    acknowledge(this.distribution, 'CFR1', 'People review from anywhere; a key of the API is what lets them in.');
    if (webAclArn === '')
      acknowledge(this.distribution, 'CFR2', 'The setting webAclArn names one; the API has limits of its own.');
    if (consoleLogBucket === '') {
      acknowledge(this.distribution, 'CFR3', 'The setting consoleLogBucket names a bucket; the API logs its calls itself.');
    }
    if (consoleDomain === '') acknowledge(this.distribution, 'CFR4', "CloudFront's own domain leaves no choice of TLS versions.");
  }
}

/** Of the page, and of the API reference below `reference/`. */
function filesOfPage(settings: Settings): Files {
  existing(settings, 'consoleFiles', path.join(settings.consoleFiles, 'index.html'));
  const page = filesOf(existing(settings, 'consoleFiles'));
  if (settings.referenceFiles === '') return page;
  return new Map([...page, ...filesOf(existing(settings, 'referenceFiles'), 'reference/')]);
}
