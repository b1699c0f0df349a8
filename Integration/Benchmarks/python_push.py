# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do today, for comparison: a script for Orthanc's Python plugin that pushes each instance over ZeroMQ."""

import os

import orthanc
import zmq

socket = zmq.Context().socket(zmq.PUSH)
socket.connect(os.environ["PUSH_ENDPOINT"])


def on_stored_instance(instance, instance_id):
    socket.send_multipart([instance_id.encode(), instance.GetInstanceData()])


orthanc.RegisterOnStoredInstanceCallback(on_stored_instance)
