// Package report turns samples into medians, spreads and ratios, and prints them as a table or JSON.
//
// A ratio is always taken within one round, contestant over baseline, and the median is that of the ratios: what
// disturbs the machine for longer than a round then cancels out. Everything is a function of its arguments, safe from
// any goroutine.
package report
