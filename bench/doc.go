// Command bench compares servers on loopback: package net, ouro in each of its faces and backends, gnet, and two
// servers in C that show what the kernel allows.
//
//	go run ./bench                                      about a minute: echo, 64 connections
//	go run ./bench --mode same,sep,free --conns 1,64,1000 --time 10m
//	go run ./bench --scenario idle                      memory of 10,000 idle connections
//	go run ./bench --scenario sink --mode sep           bytes per second
//	go run ./bench --list                               who takes part
//
// Each measurement runs a fresh server and a fresh load generator, which are this program executed again. It needs
// Linux; the C servers also need gcc and liburing's development files and are left out without them. It measures over
// loopback only, so network cards and zero-copy sends to them are out of its sight.
package main
