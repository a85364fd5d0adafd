// Package pattern is one echo service, written once in each programming pattern, as a user would write it: one file per
// pattern, so that their lines can be counted and compared as well as their speed.
//
// A pattern's file holds its Serve and nothing that the others share. Lines counts what is neither blank nor a comment.
package pattern
