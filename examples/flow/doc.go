// Package flow tests the example programs for streams, futures and actors, which stand in the folders below.
package flow
