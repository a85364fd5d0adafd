// Package netsim is the way from this module's simulations into package net, where that has to make something that its users
// cannot: a socket of a simulated kernel. Package net fills it in when it is initialised, and so exports nothing of the kind.
//
// For tests of this module only; any goroutine may call it. It owns nothing and needs no kernel.
package netsim
