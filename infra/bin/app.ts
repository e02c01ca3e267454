import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { AutoLabelStack } from '../lib/stack.ts';

const app = new App();
new AutoLabelStack(app, 'AutoLabel', { description: 'Autolabel: serverless batch auto-labeling' });
// Findings end the synthesis, so nothing is deployed that has not passed.
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
