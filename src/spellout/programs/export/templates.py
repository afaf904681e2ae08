"""What stands around the statements of a program, in each language; and names that a function cannot have there."""

from __future__ import annotations

C = """/* {about} */
#include <math.h>
#include <stddef.h>
#include <string.h>

{tables}const double {name}_parameters[] = {{
  {parameters}}};

static void {name}_forward({given}double *v)
{{
{forward}}}

static void {name}_backward({whole}const double *v, double *g)
{{
{backward}}}

{function}"""
C_ONE = """double {name}({given}double *gradient)
{{
  double v[{end}], g[{end}] = {{0}};
  {name}_forward({passed}v);
  g[{result}] = 1;
  if (gradient) {name}_backward({whole_passed}v, g);
  for (int i = 0; gradient && i < {count}; i++) gradient[i] += g[i];
  return v[{result}];
}}
"""
C_SEVERAL = """void {name}({given}double *results, const double *seeds, double *gradient)
{{
  double v[{end}], g[{end}] = {{0}};
  {name}_forward({passed}v);
  for (int i = 0; i < {outputs}; i++) results[i] = v[{result}];
  if (!gradient) return;
  for (int i = 0; i < {outputs}; i++) g[{result}] += seeds[i];
  {name}_backward({whole_passed}v, g);
  for (int i = 0; i < {count}; i++) gradient[i] += g[i];
}}
"""
JS = """// {about}
{tables}const {name}_parameters = [
  {parameters}];

function {name}_forward({given}v) {{
{forward}}}

function {name}_backward({whole}v, g) {{
{backward}}}

{function}
if (typeof module !== "undefined") module.exports = {{ {name}, {name}_parameters }};
"""
JS_ONE = """function {name}({given}gradient = null) {{
  const v = new Float64Array({end}), g = new Float64Array({end});
  {name}_forward({passed}v);
  g[{result}] = 1;
  if (gradient) {name}_backward({whole_passed}v, g);
  for (let i = 0; gradient && i < {count}; i++) gradient[i] += g[i];
  return v[{result}];
}}
"""
JS_SEVERAL = """function {name}({given}seeds = null, gradient = null) {{
  const v = new Float64Array({end}), g = new Float64Array({end}), results = [];
  {name}_forward({passed}v);
  for (let i = 0; i < {outputs}; i++) results.push(v[{result}]);
  for (let i = 0; gradient && i < {outputs}; i++) g[{result}] += seeds[i];
  if (gradient) {name}_backward({whole_passed}v, g);
  for (let i = 0; gradient && i < {count}; i++) gradient[i] += g[i];
  return results;
}}
"""

WHOLE = {"c": C, "js": JS}
"""The file: tables, parameters, forward, backward, and the function of one of the next two."""
ONE, SEVERAL = {"c": C_ONE, "js": JS_ONE}, {"c": C_SEVERAL, "js": JS_SEVERAL}
"""The function of a program of one number, and of several."""
_WORDS = """
auto break case catch char class const continue debugger default delete do double else enum eval export extends
extern false finally float for function goto if implements import in inline instanceof int interface let long main
module new null package private protected public register restrict return short signed sizeof static struct super
switch this throw true try typedef typeof union unsigned var void volatile while with yield await arguments
exp expm1 log log1p sqrt sin cos tan erf tanh fabs pow memcpy seeds results gradient Math
"""
TAKEN = frozenset(_WORDS.split())
"""Words of the languages and of what is written."""
