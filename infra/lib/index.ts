/** What another CDK app imports. */

export { AutoLabel, type AutoLabelProps, type Settings } from './autolabel.ts';
export { AutoLabelStack } from './stack.ts';
