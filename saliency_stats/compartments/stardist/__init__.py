"""StarDist without TensorFlow: the network, its files, its predictions."""
