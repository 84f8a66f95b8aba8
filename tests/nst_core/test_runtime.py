from nst_core.runtime import setup_tensorflow


def test_a_later_call_with_other_threads_does_nothing(tensorflow_is_set_up):
    import tensorflow as tf

    before = tf.config.threading.get_intra_op_parallelism_threads()
    setup_tensorflow(before + 1)
    assert tf.config.threading.get_intra_op_parallelism_threads() == before
