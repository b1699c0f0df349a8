# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts real gateways, workers and hubs on this machine, and speaks to them as their users would."""
